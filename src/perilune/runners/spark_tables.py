"""Parquet files as tables of a Spark session, whose rows know their place, and statements asked of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pyarrow as pa

from perilune.errors import PeriluneError
from perilune.runners.spark import Cluster, failures, last_cause

Function = tuple[Callable[..., object], str]  # and the type that it gives, as Spark names it
Files = Sequence[tuple[Path, int]]  # each with the place of its first row
_LOCAL = "^file:/+"  # Spark writes file:/ here and file:/// there


def open_table(cluster: Cluster, name: str, schema: pa.Schema, files: Files, row: str) -> None:
    """A view of the files by this name; `row` is the column with each row's place."""
    from pyspark.sql import functions as f
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.types import StructType

    session = cluster.session
    if not files:
        empty = session.createDataFrame([], from_arrow_schema(schema.append(pa.field(row, pa.int64()))))
        empty.createOrReplaceTempView(name)
        return
    kinds: StructType = from_arrow_schema(schema)  # type: ignore[no-untyped-call, unused-ignore]
    frame = session.read.schema(kinds).parquet(*[str(path) for path, _ in files])
    firsts = {str(path): first for path, first in files}
    known = [(re.sub(_LOCAL, "/", uri), firsts[unquote(urlparse(uri).path)]) for uri in frame.inputFiles()]
    places = session.createDataFrame(known, "`$file` string, `$first` long")
    file = f.regexp_replace(f.col("_metadata.file_path"), _LOCAL, "/")
    placed = frame.withColumn("$file", file).withColumn("$at", f.col("_metadata.row_index"))
    joined = placed.join(f.broadcast(places), "$file").withColumn(row, f.col("$first") + f.col("$at"))
    joined.drop("$file", "$first", "$at").createOrReplaceTempView(name)


def ask(cluster: Cluster, sql: str, functions: Mapping[str, Function], most: int) -> tuple[pa.Table, bool]:
    """The statement's rows, up to so many, and whether there were more. Times are without a zone, which is UTC."""
    try:
        for name, (function, gives) in functions.items():
            cluster.session.udf.register(name, function, gives)
        found: Any = cluster.session.sql(sql).limit(most + 1).toArrow()
    except failures() as error:
        raise PeriluneError(f"the cluster gave up: {last_cause(str(error))}") from None
    fields = [
        pa.field(one.name, pa.timestamp("us")) if pa.types.is_timestamp(one.type) else one for one in found.schema
    ]
    arrays = [column.cast(one.type) for column, one in zip(found.columns, fields, strict=True)]
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    return table.slice(0, most), table.num_rows > most
