-- expect: drifted table recommendations: statistics together
CREATE STATISTICS together ON status, priority FROM recommendations;
