"""SQL for rules: pieces that `segments.compile` puts together. Text with parameters, no queries."""
