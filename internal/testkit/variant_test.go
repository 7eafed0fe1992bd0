package testkit

import "testing"

func TestWithSetting(t *testing.T) {
	const pool = "alpha:\n  listen: 127.0.0.1:1\n"
	for _, tt := range []struct{ name, yaml, want string }{
		{"no section", pool, pool + "\nnuthatch:\n  threads: 4\n"},
		{"a section behind", pool + "nuthatch:\n  admin: off\n", pool + "nuthatch:\n  threads: 4\n  admin: off\n"},
		{"a section before", "nuthatch:\n  admin: off\n" + pool, "nuthatch:\n  threads: 4\n  admin: off\n" + pool},
		{"its own", pool + "nuthatch:\n  threads: 1\n", pool + "nuthatch:\n  threads: 1\n"},
		{"its own in one line", "nuthatch: {threads: 1}\n" + pool, "nuthatch: {threads: 1}\n" + pool},
	} {
		if got := withSetting(tt.yaml, "threads", "4"); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
