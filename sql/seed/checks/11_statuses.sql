-- A recommendation with another status than not_started says since when

SELECT recommendation.title, recommendation.status,
       'it is not known when the status changed' AS problem
FROM recommendations AS recommendation
WHERE recommendation.status <> 'not_started' AND recommendation.status_changed_at IS NULL
ORDER BY recommendation.title;
