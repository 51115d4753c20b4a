-- What the back office shows.
CREATE OR REPLACE VIEW portfolio AS
SELECT u.id AS user_id,
       (SELECT count(*) FROM assets a WHERE a.user_id = u.id) AS assets,
       coalesce((SELECT sum(i.amount) FROM investments i WHERE i.user_id = u.id AND i.active), 0) AS invested
FROM users u;
