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

var kindLogFormat = kind{form: "text or json", words: logFormatNames, parse: parseLogFormat}

func parseLogFormat(_ limits, text string) (value, error) {
	for i, name := range logFormatNames {
		if text == name {
			return value{number: int64(i)}, nil
		}
	}
	return value{}, unknownName("log_format", text, logFormatNames)
}
