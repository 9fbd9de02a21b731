package linux

// oldCalls are those that amd64 has and later architectures (arm64) left
// out, because a newer call with a directory descriptor or flags does the
// same.
var oldCalls = []call{}
