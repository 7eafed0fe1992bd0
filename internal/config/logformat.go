package config

// LogFormat is the form of the log's lines.
type LogFormat uint8

const (
	// LogText is nutcracker's form.
	LogText LogFormat = iota
	// LogJSON is one JSON object per line.
	LogJSON
)

var logFormatNames = []string{LogText: "text", LogJSON: "json"}

var kindLogFormat = oneOf("log_format", logFormatNames)
