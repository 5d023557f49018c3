"""What the page of a site shows of its steering, as JSON (Steering.picture). Made by who steers, each time something
has changed, and once in five seconds. Times are seconds since 1970, currents A of pilot unless told otherwise.

    {
      "at": 1764000000.0, "owner": "host:123",
      "rows": [{"node": 12, "part": "L1" | "L2" | "L3" | "total", "unit": "A" | "W", "limit": 63.0,
                "building": 8.2, "cars": 31.0, "committed": 48.0}],   # cars: measured; committed: may be in force
      "outlets": [{"evse": 5, "plugged": true, "reachable": true, "session": 77, "asked": 16.0, "until": ...,
                   "granted": 16.0, "committed": 16.0, "draw": 15.8, "cap": 17.0, "wanted": 0.0, "default": 6.0,
                   "need_wh": 12000.0, "departure": ..., "priority": 0,
                   "lines": ["L1"],                                   # that its car draws on; null: it counts on all
                   "why": one of WHYS, "node": 12, "part": "L1",      # node, part: of "binds", "waits" and "peak"
                   "since": 1763999400.0}],                           # since when `why` is this one
      "meters": [{"meter": 3, "amps": [8.2, 7.9, 8.0], "watts": 5500.0, "at": ..., "mute": false,
                  "since": null,                                     # since when it is mute
                  "dead": ["L2"]}],                                  # lines told as 0 A while cars draw there
      "building": {"amps": [...], "mute": false}, "solar_w": null, "battery_w": null,
      "peak_w": null, "alerts": [{"kind": one of ALERTS, "evse": 5, "node": 12, "since": ...}]
    }

What is not told is null. `energy.services.history` keeps a row a minute of the same (SiteMinute).

The programme of the next hours (Steering.programme), made by the slow loop. Period n begins at start + n x period_s; a
list has a value for each period.

    {
      "at": 1764000000.0, "start": 1764000000.0, "period_s": 900.0,
      "total_w": [11000.0, ...],                  # of all cars
      "building_w": [...], "limit_w": [...],      # null, or null within: not known
      "price": [0.31, ...],                       # per kWh in the company's currency; null: none is known
      "peak_w": 43000.0,                          # highest of cars and building together; null: no peak is paid for
      "outlets": {"5": [16.0, 0.0, ...]},         # by EVSE: A of pilot in each period
      "unmet_wh": {"5": 1200.0},                  # by EVSE: what its car will lack at its departure
      "ready": {"5": 1764020000.0}                # by EVSE: when its car has what it needs
    }
"""

from __future__ import annotations

IDLE = "idle"  # nobody charges there
FULL = "full"  # it has all that the hardware gives
CAR = "car"  # the car takes no more
BINDS = "binds"  # a row of the tree is full
WAITS = "waits"  # for its turn: not all can have the minimum
PEAK = "peak"  # more would make a new peak
LATER = "later"  # the programme of the day wants it later
RAMP = "ramp"  # amperes that others give up are not free yet
OTHERS = "others"  # a limit that somebody else set
OFFLINE = "offline"  # not heard: it counts with what it may take by itself
DISOBEYS = "disobeys"  # it takes more than it was told: it counts with its hardware's most
STARTS = "starts"  # the session has just begun
WHYS = (IDLE, FULL, CAR, BINDS, WAITS, PEAK, LATER, RAMP, OTHERS, OFFLINE, DISOBEYS, STARTS)

SHORT = "short"  # a row is over what it may carry, or all cars wait
MUTE = "mute"  # a meter is silent or frozen
ALERTS = (SHORT, MUTE, DISOBEYS, OFFLINE)
