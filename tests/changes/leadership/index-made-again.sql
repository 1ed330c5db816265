-- expect: ok
REINDEX INDEX recommendations_status_idx;
