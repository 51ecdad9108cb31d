package render

// Each renders as Render does, and validates every compose file by itself.
var Each = each
