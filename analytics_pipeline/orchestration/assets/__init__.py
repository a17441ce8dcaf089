"""The assets, one module a layer: thin bodies that read, call and hand over; what they call imports no dagster."""
