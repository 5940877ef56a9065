"""Speed, measured side by side: what recollect's main jobs take, beside the ways that others would do them."""
