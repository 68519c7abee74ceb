"""Places beyond this machine, as ``s3://bucket/folder``: read by kept blocks, written so that half is nothing."""
