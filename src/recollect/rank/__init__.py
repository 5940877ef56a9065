"""From a query to a ranking and its trace."""
