-- Balances, as the product shows them.
CREATE OR REPLACE VIEW account_balances AS
SELECT a.id AS account_id, count(t.id) AS transactions, coalesce(sum(t.amount), 0) AS balance
FROM accounts a LEFT JOIN transactions t ON t.account_id = a.id
GROUP BY a.id;
