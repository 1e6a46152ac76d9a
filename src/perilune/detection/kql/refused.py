"""What Kusto has and this engine does not: each is refused by its name, never guessed at."""

from __future__ import annotations

REFUSED_OPERATORS: dict[str, str] = {
    "consume": "it only discards rows",
    "execute_and_cache": "results are not cached between queries",
    "externaldata": "a query reads no file and no address; give the file as a PATH",
    "facet": "write one `summarize count() by column` for each column",
    "fork": "run one query for each branch",
    "graph-mark-components": "graph operators",
    "graph-match": "graph operators; `join` on the process ids follows one step at a time",
    "graph-shortest-paths": "graph operators",
    "graph-to-table": "graph operators",
    "macro-expand": "entity groups name clusters, and there is none here",
    "make-graph": "graph operators",
    "partition": "write it with `summarize` or `mv-apply`",
    "project-by-names": "name the columns, or use project-keep with a pattern",
    "reduce": "clustering of texts is approximate in Kusto and cannot be repeated exactly",
    "sample-distinct": "`distinct` followed by `take` gives as many values",
    "scan": "state machines over rows; `serialize` with prev() covers the steps of two rows",
    "top-hitters": "it is approximate in Kusto; `summarize count() by x | top n by count_` is exact",
}
REFUSED_STATEMENTS: dict[str, str] = {
    "alias": "clusters and databases",
    "declare": "only `declare query_parameters` with defaults",
    "pattern": "patterns name databases",
    "restrict": "access rules of a cluster",
}
HARMLESS_SETTINGS = frozenset((
    "notruncation", "truncationmaxsize", "truncationmaxrecords", "norequesttimeout", "servertimeout",
    "query_results_cache_max_age", "request_readonly", "materialized_view_shuffle", "maxmemoryconsumptionperiterator",
))  # fmt: skip
REFUSED_PLUGINS: dict[str, str] = (
    dict.fromkeys(
        "active_users_count activity_counts_metrics activity_engagement activity_metrics autocluster basket "
        "diffpatterns diffpatterns_text dcount_intersect funnel_sequence funnel_sequence_completion "
        "new_activity_metrics rolling_percentile rows_near schema_merge sequence_detect series_fit "
        "session_count sliding_window_counts".split(),
        "analytics plugins",
    )
    | dict.fromkeys(
        "ai_chat_completion ai_embed_text ai_embeddings azure_digital_twins_query_request cosmosdb_sql_request "
        "http_request http_request_post infer_storage_schema mysql_request postgresql_request python r "
        "sql_request".split(),
        "code or requests outside of the query",
    )
    | {"ipv4_lookup": "join on a prefix", "ipv6_lookup": "join on a prefix", "preview": "split results"}
)
REFUSED_FUNCTIONS: dict[str, str] = {
    "FileProfile": "it asks Microsoft for a file's prevalence; locally there is nothing to ask",
    "DeviceFromIP": "it asks Microsoft's inventory",
    "AssignedIPAddresses": "it asks Microsoft's inventory",
    "SeenBy": "it asks Microsoft's inventory",
    "cluster": "there is no other cluster here",
    "database": "there is no other database here",
    "external_table": "a query reads nothing but the tables given to it",
    "externaldata": "a query reads no file and no address; give the file as a PATH",
    "geo_info_from_ip_address": "it needs Microsoft's database of places",
    "current_principal": "nobody is signed in", "current_principal_details": "nobody is signed in",
    "current_principal_is_member_of": "nobody is signed in",
    "hash": "xxHash64 with Kusto's own byte order; hash_md5, hash_sha1 and hash_sha256 are there",
    "hash_xxhash64": "see hash", "hash_many": "see hash", "hash_combine": "see hash",
    "row_window_session": "windows with a reset", "row_rank_dense": "ranks of a window",
    "row_rank_min": "ranks of a window",
    "parse_user_agent": "it needs Microsoft's table of browsers",
    "parse_xml": "the XML of Event logs is read by Perilune's own readers",
    "zlib_decompress_from_base64_string": "use gzip_decompress_from_base64_string for gzip",
    "tdigest": "approximate states", "hll": "approximate states", "hll_merge": "approximate states",
    "tdigest_merge": "approximate states", "percentile_tdigest": "approximate states",
    "dcount_hll": "approximate states", "dynamic_to_json": "tostring() gives JSON",
    "cursor_after": "ingestion cursors", "estimate_data_size": "sizes of a cluster's storage",
    "ipv6_compare": "IPv6 arithmetic", "ipv6_is_match": "IPv6 arithmetic", "parse_ipv6_mask": "IPv6 arithmetic",
    "punycode_from_string": "internationalised names", "punycode_to_string": "internationalised names",
}  # fmt: skip
REFUSED_PREFIXES: dict[str, str] = {
    "geo_": "places on a globe",
    "series_": "series arithmetic",
    "beta_": "statistics",
    "welch_": "statistics",
    "gamma": "statistics",
    "loggamma": "statistics",
    "bitset_": "bit counts",
}
