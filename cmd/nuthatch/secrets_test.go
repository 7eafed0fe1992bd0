package main

import (
	"strings"
	"testing"
)

// Whatever is secret is not an argument, since every user of the host sees these: options name the
// files of secrets.
func TestNoOptionTakesSecrets(t *testing.T) {
	all, files := mainOptions(), 0
	for _, c := range commands() {
		all = append(all, c.options()...)
	}
	for _, o := range all {
		for _, word := range []string{"token", "password", "secret", "auth"} {
			switch {
			case !strings.Contains(o.long, word) || o.argument == noArgument:
			case o.argument == fileName || strings.HasSuffix(o.long, "-file"):
				files++
			default:
				t.Errorf("--%s takes a secret", o.long)
			}
		}
	}
	if files == 0 {
		t.Error("no option names a file of secrets")
	}
}
