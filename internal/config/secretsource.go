package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"nuthatch/internal/regularfile"
)

// A SecretSource is where a secret comes from that the configuration file does not have
// itself. At most one is not empty.
type SecretSource struct {
	// File is the path of a file that has it, Env the name of an environment variable.
	File, Env string
}

// ErrNoSecret means that the file for a secret holds none.
var ErrNoSecret = errors.New("the file holds no secret")

// maxSecret is the most bytes that are read of a secret.
const maxSecret = 4096

// kindSecretPath is the path of a file with a secret.
var kindSecretPath = kind{form: kindPath.form, text: true, parse: parseSecretPath, schema: kindPath.schema}

// parseSecretPath reads a path. What is none may be the secret itself, and is not repeated.
func parseSecretPath(r limits, text string) (value, error) {
	if !strings.HasPrefix(text, "/") {
		return value{}, errors.New("expected the absolute path of a file with the secret")
	}
	return parsePath(r, text)
}

// kindVariable is the name of an environment variable.
var kindVariable = kind{form: "name of a variable", parse: parseVariable, schema: textOf(variablePattern)}

const variablePattern = `[A-Za-z_][A-Za-z0-9_]*`

var variableName = regexp.MustCompile(`^` + variablePattern + `$`)

func parseVariable(_ limits, text string) (value, error) {
	if !variableName.MatchString(text) || text == "true" || text == "false" || text == "null" { // YAML takes these for no text
		// It may be the secret itself.
		return value{}, errors.New("expected the name of an environment variable, without $")
	}
	return value{text: text}, nil
}

// twins are the rows by which a secret can come from a file or from the environment.
func twins[T any](name, onlyWith string, at func(*T) *SecretSource) []key[T] {
	return []key[T]{
		{
			name: name + "_file", kind: kindSecretPath, onlyWith: onlyWith, defNote: "none", origin: fromNuthatch,
			help: "The path of a file with `" + name + "`, for a mounted secret. It is read at the start and at each reload; white " +
				"space around the secret is ignored.",
			set: func(into *T, v value) { at(into).File = v.text },
		},
		{
			name: name + "_env", kind: kindVariable, onlyWith: onlyWith, defNote: "none", origin: fromNuthatch,
			help: "The name of an environment variable with `" + name + "`, in place of it. The variable is read at the start.",
			set:  func(into *T, v value) { at(into).Env = v.text },
		},
	}
}

// Read returns the secret; empty if there is no source.
func (s SecretSource) Read() (Secret, error) {
	switch {
	case s.File != "":
		return readSecretFile(s.File)
	case s.Env != "":
		text := os.Getenv(s.Env)
		if text == "" {
			return "", fmt.Errorf("the environment variable %s is not set, or empty", s.Env)
		}
		return Secret(text), nil
	}
	return "", nil
}

func readSecretFile(path string) (Secret, error) {
	f, err := regularfile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	text = bytes.TrimSpace(text)
	switch {
	case err != nil:
		return "", err
	case len(text) == 0:
		return "", fmt.Errorf("%s: %w", path, ErrNoSecret)
	case len(text) > maxSecret:
		return "", fmt.Errorf("%s: the file has more than %d bytes", path, maxSecret)
	}
	return Secret(text), nil
}

// A sourcedSecret is a secret of a pool that may have a source.
type sourcedSecret struct {
	key  string
	into *Secret
	from SecretSource
}

func (p *Pool) sourcedSecrets() []sourcedSecret {
	return append(p.ownSecrets(), p.userSecrets()...)
}

// ownSecrets are the secrets of the pool itself.
func (p *Pool) ownSecrets() []sourcedSecret {
	return []sourcedSecret{
		{"redis_auth", &p.RedisAuth, p.RedisAuthFrom},
		{"redis_auth_previous", &p.RedisAuthPrevious, p.RedisAuthPreviousFrom},
		{"server_password", &p.ServerPassword, p.ServerPasswordFrom},
		{"sentinel_password", &p.Sentinel.Password, p.Sentinel.PasswordFrom},
	}
}

// read reads the secret, if it has a source.
func (s *sourcedSecret) read() error {
	if s.from == (SecretSource{}) {
		return nil
	}
	text, err := s.from.Read()
	*s.into = text
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s.sourceKey(), err)
}

// sourceKey is the key that names the source.
func (s *sourcedSecret) sourceKey() string {
	if s.from.Env != "" {
		return s.key + "_env"
	}
	return s.key + "_file"
}

// keep takes over the secret of old that comes from the same source. Without one it is
// another than any of old.
func (s *sourcedSecret) keep(old []sourcedSecret) {
	if s.from == (SecretSource{}) {
		return
	}
	*s.into = unread
	for _, was := range old {
		if was.key == s.key && was.from == s.from {
			*s.into = *was.into
		}
	}
}

// WithSecrets returns the configuration with the secrets of the process and of its pools
// that come from files and from the environment. The error names all that could not be read.
func (c *Config) WithSecrets() (*Config, error) {
	with := *c
	with.Pools = append([]Pool(nil), c.Pools...)
	var faults []error
	for _, s := range with.Process.sourcedSecrets() {
		if err := s.read(); err != nil {
			faults = append(faults, fmt.Errorf("%snuthatch.%w", c.PlaceOf("", s.sourceKey()), err))
		}
	}
	for i := range with.Pools {
		p := &with.Pools[i]
		p.Users = slices.Clone(p.Users)
		for _, s := range p.sourcedSecrets() {
			if err := s.read(); err != nil {
				faults = append(faults, fmt.Errorf("%spool '%s': %w", c.PlaceOf(p.Name, s.sourceKey()), p.Name, err))
			}
		}
	}
	if _, err := with.Process.Tracing.AllHeaders(); err != nil {
		faults = append(faults, fmt.Errorf("tracing.headers: %w", err))
	}
	return &with, errors.Join(faults...)
}

// WithSecretsOf is WithSecrets without reading anything: a secret from where old has one is
// that one, and any other is a new one. It is for telling what would change.
func (c *Config) WithSecretsOf(old *Config) *Config {
	with := *c
	for _, s := range with.Process.sourcedSecrets() {
		s.keep(old.Process.sourcedSecrets())
	}
	with.Pools = append([]Pool(nil), c.Pools...)
	for i := range with.Pools {
		p := &with.Pools[i]
		p.Users = slices.Clone(p.Users)
		var was []sourcedSecret
		for j := range old.Pools {
			if old.Pools[j].Name == p.Name {
				was = old.Pools[j].sourcedSecrets()
			}
		}
		for _, s := range p.sourcedSecrets() {
			s.keep(was)
		}
	}
	return &with
}

// WithoutGuesses returns the configuration with the secrets of old in place of its own, where
// both have one. It is for telling what would change to somebody who may try guesses.
func (c *Config) WithoutGuesses(old *Config) *Config {
	with := *c
	keepSecrets(reflect.ValueOf(&with.Process).Elem(), reflect.ValueOf(&old.Process).Elem())
	with.Pools = slices.Clone(c.Pools)
	for i := range with.Pools {
		p := &with.Pools[i]
		at := slices.IndexFunc(old.Pools, func(q Pool) bool { return q.Name == p.Name })
		if at < 0 {
			continue
		}
		was := &old.Pools[at]
		keepSecrets(reflect.ValueOf(p).Elem(), reflect.ValueOf(was).Elem())
		users := make(map[string]*User, len(was.Users))
		for j := range was.Users {
			users[was.Users[j].Name] = &was.Users[j]
		}
		p.Users = slices.Clone(p.Users)
		for j := range p.Users {
			if u := users[p.Users[j].Name]; u != nil {
				keepSecrets(reflect.ValueOf(&p.Users[j]).Elem(), reflect.ValueOf(u).Elem())
			}
		}
	}
	return &with
}

// keepSecrets sets the secrets of a struct, and of the structs in it, to those of another of
// its type, where both have one.
func keepSecrets(into, from reflect.Value) {
	for i := range into.NumField() {
		field, was := into.Field(i), from.Field(i)
		switch {
		case !into.Type().Field(i).IsExported():
		case field.Type() == reflect.TypeFor[Secret]():
			if !field.IsZero() && !was.IsZero() {
				field.Set(was)
			}
		case field.Kind() == reflect.Struct:
			keepSecrets(field, was)
		}
	}
}

// unread stands for a secret that was not read.
const unread = Secret("not read")

// A Login is what a server is told.
type Login struct {
	// User is empty for the user default.
	User     string
	Password Secret
}

// Words are those of AUTH behind its name; nil if there is no login.
func (l Login) Words() []string {
	switch {
	case l.Password == "":
		return nil
	case l.User == "":
		return []string{l.Password.Reveal()}
	}
	return []string{l.User, l.Password.Reveal()}
}

// ServerLogin is what the pool's servers are told.
func (p *Pool) ServerLogin() Login {
	if p.ServerPassword != "" {
		return Login{p.ServerUser, p.ServerPassword}
	}
	return Login{Password: p.RedisAuth}
}

// LoginKey names what decides about the login at servers: the keys, or who says the password; empty:
// they are told none.
func (p *Pool) LoginKey() string {
	switch {
	case p.Passes() && p.ServerPassword == "":
		return "the client's own"
	case p.Passes():
		return "the client's own, or server_user and server_password"
	case p.ServerUser != "":
		return "server_user and server_password"
	case p.ServerPassword != "":
		return "server_password"
	case p.RedisAuth != "":
		return "redis_auth"
	}
	return ""
}

// checkSecrets finds secrets that are given twice, or without what they need.
func (r *reader) checkSecrets(b *poolBlock) {
	given := make(map[string]bool)
	for _, s := range b.pool.ownSecrets() {
		for _, key := range []string{s.key, s.key + "_file", s.key + "_env"} {
			at := b.seen[key]
			if at.name == nil {
				continue
			}
			if given[s.key] {
				r.fault(at.name, &b.block, key, "the secret is given already: keep one of '"+s.key+"', '"+s.key+"_file' and '"+s.key+"_env'")
			}
			given[s.key] = true
		}
	}
	needs := func(key, other, why string) {
		if at := b.seen[key]; at.name != nil && !given[other] {
			r.fault(at.name, &b.block, key, why)
		}
	}
	for _, suffix := range []string{"", "_file", "_env"} {
		needs("redis_auth_previous"+suffix, "redis_auth", "a previous password needs a 'redis_auth'")
	}
	needs("server_user", "server_password", "a user needs a 'server_password'")
	needs("sentinel_user", "sentinel_password", "a user needs a 'sentinel_password'")
}

// HasReadToken reports whether the admin listener has a token for reading alone.
func (p *Process) HasReadToken() bool {
	return p.AdminReadToken != "" || p.AdminReadTokenFile != "" || p.AdminReadTokenEnv != ""
}

// HasAdminToken reports whether the admin listener has a token for everything.
func (p *Process) HasAdminToken() bool {
	return p.AdminToken != "" || p.AdminTokenFile != "" || p.AdminTokenEnv != ""
}
