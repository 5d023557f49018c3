"""Where readings of meters come from: brokers, Modbus, stations. Each source is one file; `sources` lists them."""
