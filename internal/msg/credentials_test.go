package msg

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// No way of printing shows a password that a client has said.
func TestCredentialsAreNotShown(t *testing.T) {
	c := NewCredentials(true, []byte("alice"), []byte("correct-horse"))
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	within := struct {
		C *Credentials
		V Credentials
	}{c, *c}
	for _, shown := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c), fmt.Sprintf("%v %+v %#v", *c, *c, *c), fmt.Sprintf("%v %+v %#v", within, within, within), string(text),
	} {
		if strings.Contains(shown, "horse") {
			t.Errorf("shown as %s", shown)
		}
	}
}

func TestCredentialsAreEqual(t *testing.T) {
	one := NewCredentials(true, []byte("a"), []byte("bc"))
	for _, tt := range []struct {
		other *Credentials
		want  bool
	}{
		{one, true},
		{NewCredentials(true, []byte("a"), []byte("bc")), true},
		{NewCredentials(true, []byte("ab"), []byte("c")), false},
		{NewCredentials(false, []byte("a"), []byte("bc")), false},
		{NewCredentials(true, []byte("a"), []byte("b")), false},
		{nil, false},
	} {
		if got := one.Equal(tt.other); got != tt.want {
			t.Errorf("Equal is %t, want %t", got, tt.want)
		}
	}
	if none := (*Credentials)(nil); !none.Equal(nil) || none.Equal(one) {
		t.Error("nothing is not like nothing, or like something")
	}
}
