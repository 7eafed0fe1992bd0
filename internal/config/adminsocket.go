package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// adminAuto lets the program choose the path of the socket for actions.
const adminAuto = "auto"

// kindAdminSocket is a unix socket, "auto", which is an Address of NetworkAuto, or
// "off", which is the zero Address.
var kindAdminSocket = kind{form: "path, auto or off", text: true, parse: parseAdminSocket, schema: textOf(adminOff + `|` + adminAuto + `|/[^ ]*|/.* 0*[0-7]{1,3}`)}

func parseAdminSocket(r limits, text string) (value, error) {
	switch text {
	case adminOff:
		return value{}, nil
	case adminAuto:
		return value{address: Address{Network: NetworkAuto}}, nil
	}
	v, err := parseListenValue(r, text)
	if err == nil && v.address.Network != NetworkUnix {
		err = errors.New("expected the absolute path of a unix socket, auto or off, found " + quote(text))
	}
	return v, err
}

// AdminSocketDirs are the directories in which a proxy of this user may make its
// socket for actions, the preferred one first: the directory that systemd gives a
// service, /run/nuthatch, the user's own runtime directory, and one in /tmp.
func AdminSocketDirs() []string {
	var dirs []string
	if given, _, _ := strings.Cut(os.Getenv("RUNTIME_DIRECTORY"), ":"); given != "" {
		dirs = append(dirs, given)
	}
	dirs = append(dirs, "/run/nuthatch")
	if given := os.Getenv("XDG_RUNTIME_DIR"); given != "" {
		dirs = append(dirs, filepath.Join(given, "nuthatch"))
	}
	return append(dirs, filepath.Join(os.TempDir(), "nuthatch-"+strconv.Itoa(os.Getuid())))
}

// AdminSocketName is the name of the socket in one of AdminSocketDirs. Each
// configuration file has its own.
func AdminSocketName(file string) string {
	if absolute, err := filepath.Abs(file); err == nil {
		file = absolute
	}
	base := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
	sum := sha256.Sum256([]byte(file))
	return base[:min(len(base), 32)] + "-" + hex.EncodeToString(sum[:4]) + ".sock"
}
