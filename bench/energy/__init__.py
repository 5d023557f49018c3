"""Load management measured: days with faults, and real sessions beside other algorithms. See docs/performance.md."""
