package config

// ParseSize and FormatSize are how settings that are sizes are read and written.
var ParseSize, FormatSize = parseSize, formatSize
