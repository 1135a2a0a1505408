"""The BFIA control layer as messages: shapes, headers, envelope, dialects."""
