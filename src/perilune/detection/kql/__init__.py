"""KQL over tables: the language of Microsoft's advanced hunting, on any log that was read.

with open_session(tables) as session:
    result = session.run("DeviceProcessEvents | where FileName has 'lua' | take 10", now)

Text -> tokens -> tree (`parser`) -> SQL as SQLGlot's nodes (`compiler`) -> DuckDB (`running`). What is refused is
listed in `refused`; the reference `docs/reference/kql.md` is generated from the tables of this package.
"""
