-- What the team's pages ask for, on the tables that the mapping makes.
CREATE OR REPLACE VIEW project_task_stats AS
SELECT p.id AS project_id,
       count(t.id) AS tasks,
       count(t.id) FILTER (WHERE t.status = 'done') AS done,
       coalesce(sum(t.estimate), 0) AS estimate,
       (SELECT count(*) FROM project_members m WHERE m.project_id = p.id) AS members
FROM projects p LEFT JOIN tasks t ON t.project_id = p.id
GROUP BY p.id;

CREATE OR REPLACE VIEW user_task_stats AS
SELECT u.id AS user_id,
       count(t.id) AS assigned,
       count(t.id) FILTER (WHERE t.status = 'done') AS done
FROM users u LEFT JOIN tasks t ON t.assignee_id = u.id
GROUP BY u.id;
