package redisclient

import (
	"cmp"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Version is the server's version in a reply to INFO SERVER; empty: it does not say.
func Version(info *redis.Cmd) string {
	return cmp.Or(Field(info, "valkey_version"), Field(info, "redis_version"))
}

// Field is a field of a reply with lines "name:value"; empty: the reply does not have it.
func Field(reply *redis.Cmd, name string) string {
	text, err := reply.Text()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
