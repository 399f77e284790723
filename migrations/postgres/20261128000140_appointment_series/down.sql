DROP TABLE appointment_series_visits;
DROP TABLE appointment_series;
