-- expect: drifted table recommendations: index recommendations_status_idx; index status_idx
ALTER INDEX recommendations_status_idx RENAME TO status_idx;
