"""The numbers at /metrics: what the processes here have counted, and what the database says."""
