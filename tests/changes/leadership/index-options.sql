-- expect: drifted table recommendations: index recommendations_status_idx
ALTER INDEX recommendations_status_idx SET (fillfactor = 50);
