-- expect: drifted table recommendations: index recommendations_status_idx
DROP INDEX recommendations_status_idx;
