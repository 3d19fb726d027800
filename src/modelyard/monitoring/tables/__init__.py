"""Answers and labels as Parquet files, which pandas, DuckDB and Spark read as they are."""
