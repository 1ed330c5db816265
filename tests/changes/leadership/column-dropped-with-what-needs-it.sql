-- expect: drifted table recommendations: column video_url; constraint recommendations_video_url_check
-- expect: missing view v_recommendations_with_categories
ALTER TABLE recommendations DROP COLUMN video_url CASCADE;
