"""`python -m analytics_pipeline` is `analytics-pipeline`."""

from analytics_pipeline.cli import main

main(prog_name="analytics-pipeline")
