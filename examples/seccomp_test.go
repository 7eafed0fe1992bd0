package examples

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/testkit"
)

// TestSeccompProfile: the filter allows io_uring, whatever the profile says of it, and leaves
// the rest as it is.
func TestSeccompProfile(t *testing.T) {
	const profile = `{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": [{"architecture": "SCMP_ARCH_X86_64"}], "syscalls": [
		{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
		{"names": ["io_uring_setup", "clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
		{"names": ["io_uring_enter"], "action": "SCMP_ACT_ERRNO"}]}`
	jq := exec.Command(testkit.Program(t, "jq"), "-f", "docker/io_uring.jq")
	jq.Stdin = strings.NewReader(profile)
	out, err := jq.Output()
	if err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Names  []string
		Action string
	}
	var got struct {
		DefaultAction string
		ArchMap       []any
		Syscalls      []rule
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := []rule{
		{[]string{"io_uring_setup", "io_uring_enter", "io_uring_register"}, "SCMP_ACT_ALLOW"},
		{[]string{"read", "write"}, "SCMP_ACT_ALLOW"},
		{[]string{"clone3"}, "SCMP_ACT_ERRNO"},
	}
	if got.DefaultAction != "SCMP_ACT_ERRNO" || len(got.ArchMap) != 1 ||
		!slices.EqualFunc(got.Syscalls, want, func(a, b rule) bool { return a.Action == b.Action && slices.Equal(a.Names, b.Names) }) {
		t.Errorf("the profile is\n%s", out)
	}
}
