package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/ctl"
	"nuthatch/internal/testkit"
)

const completionsPath = "../../packaging/completions/"

// TestCompletions compares what shells complete with the tables of options and commands.
func TestCompletions(t *testing.T) {
	for name, text := range map[string]string{
		"nuthatch.bash": bashCompletion(), "_nuthatch": zshCompletion(), "nuthatch.fish": fishCompletion(),
	} {
		testkit.CheckFile(t, completionsPath+name, manualsCommand, text, *update)
	}
}

// TestShellsComplete asks the shells themselves. zsh completes only at a terminal: it reads its
// file, and what the file calls is checked.
func TestShellsComplete(t *testing.T) {
	bash := func(words ...string) string {
		script := fmt.Sprintf("source %snuthatch.bash; COMP_WORDS=(%s ''); COMP_WORDS[-1]=%q; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _nuthatch; "+
			`printf '%%s\n' "${COMPREPLY[@]}"`, completionsPath, strings.Join(words[:len(words)-1], " "), words[len(words)-1])
		return shellOutput(t, "bash", "--norc", "-c", script)
	}
	fish := func(words ...string) string {
		return shellOutput(t, "fish", "--no-config", "-c",
			fmt.Sprintf("source %snuthatch.fish; complete -C %q", completionsPath, strings.Join(words, " ")))
	}
	for _, tt := range []struct {
		words []string
		want  []string
		not   string
	}{
		{[]string{"nuthatch", "c"}, []string{"ctl", "check"}, "top"},
		{[]string{"nuthatch", "--stats-p"}, []string{"--stats-port"}, "--pid-file"},
		{[]string{"nuthatch", "ctl", "st"}, []string{"status", "stats"}, "reload"},
		{[]string{"nuthatch", "ctl", "-a", "127.0.0.1:1", "re"}, []string{"ready", "reload", "reconnect", "resume"}, "status"},
		{[]string{"nuthatch", "ctl", "--wi"}, []string{"--window"}, "--stats-port"},
		{[]string{"nuthatch", "check", "--ke"}, []string{"--keys"}, "--limit"},
		{[]string{"nuthatch", "check", "e"}, []string{"engine"}, "events"},
		{[]string{"nuthatch", "-c", "main_t"}, []string{"main_test.go"}, "ctl"},
		{[]string{"nuthatch", "ctl", "preview", "main_t"}, []string{"main_test.go"}, "status"},
		{[]string{"nuthatch", "ctl", "help", "st"}, []string{"status", "stats"}, "reload"},
		{[]string{"nuthatch", "ctl", "he"}, []string{"help"}, "--help"},
		{[]string{"nuthatch", "ctl", "drain", "--"}, []string{"--wait", "--conf-file"}, "--window"},
		{[]string{"nuthatch", "ctl", "status", "--window", ""}, []string{"10s", "1m", "10m"}, "status"},
		{[]string{"nuthatch", "ctl", "disable", "alpha", "s1", "--keys", "m"}, []string{"move"}, "fail"},
		{[]string{"nuthatch", "check", "--keys", "m"}, nil, "move"},
	} {
		for shell, complete := range map[string]func(...string) string{"bash": bash, "fish": fish} {
			var got []string
			for line := range strings.Lines(complete(tt.words...)) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				got = append(got, word)
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("%s: %q completes to %q, without %s", shell, tt.words, got, want)
				}
			}
			if slices.Contains(got, tt.not) {
				t.Errorf("%s: %q completes to %q", shell, tt.words, got)
			}
		}
	}
	// bash takes an option and its value for three words.
	for _, words := range [][]string{{"nuthatch", "ctl", "--conf-file", "=", "main_t"}, {"nuthatch", "--conf-file", "=", "main_t"}} {
		if got := strings.Fields(bash(words...)); !slices.Contains(got, "main_test.go") {
			t.Errorf("bash: %q completes to %q", words, got)
		}
	}
	if got := strings.Fields(bash("nuthatch", "ctl", "--conf-file", "=", "main_test.go", "st")); !slices.Contains(got, "status") {
		t.Errorf("bash: a command behind --conf-file=FILE completes to %q", got)
	}
	spaced := filepath.Join(t.TempDir(), "a b.yml")
	if err := os.WriteFile(spaced, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := bash("nuthatch", "-c", spaced[:len(spaced)-5]); strings.TrimSpace(got) != spaced {
		t.Errorf("bash: a name with a space completes to %q", got)
	}
	shellOutput(t, "zsh", "-f", "-n", completionsPath+"_nuthatch")
	for _, want := range []string{"'ctl:", "'status:", "--stats-port=}"} {
		if !strings.Contains(zshCompletion(), want) {
			t.Errorf("zsh's completion has no %s", want)
		}
	}
}

func shellOutput(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(testkit.Program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// names are an option's ways to be written.
func (o *option) names() []string {
	names := []string{"--" + o.long}
	if o.short != 0 {
		names = append([]string{"-" + string(o.short)}, names...)
	}
	return names
}

// namesOf are the names of a table's options, of those with one of these arguments, or of all.
func namesOf(table []option, arguments ...argument) []string {
	var names []string
	for _, o := range table {
		if len(arguments) == 0 || slices.Contains(arguments, o.argument) {
			names = append(names, o.names()...)
		}
	}
	return names
}

func mainOptions() []option { return (&flags{}).table(nuthatch) }

// choices are the values of options that have few.
var choices = map[string][]string{"window": {"10s", "1m", "10m"}, "keys": {"move", "fail"}}

// optionsWithChoices are those of ctl. (check has another --keys.)
func optionsWithChoices() []option {
	var table []option
	for _, o := range (&ctlFlags{}).commandTable() {
		if choices[o.long] != nil {
			table = append(table, o)
		}
	}
	return table
}

// optionsOf are the options that a command of ctl takes.
func optionsOf(c *ctl.Command) []option {
	_, _, has := c.Guide()
	var table []option
	for _, o := range (&ctlFlags{}).table() {
		if len(verbsWith(&o)) == 0 || slices.Contains(has, o.long) {
			table = append(table, o)
		}
	}
	return table
}

// verbsWith are the commands of ctl that an option is for; none if it is for all.
func verbsWith(o *option) []string {
	var names []string
	for _, c := range ctl.Commands() {
		if _, _, has := c.Guide(); slices.Contains(has, o.long) {
			names = append(names, c.Name)
		}
	}
	return names
}

// The commands of ctl whose arguments are files.
var takesFile = []string{"preview"}

func verbs() []string {
	var names []string
	for _, c := range ctl.Commands() {
		names = append(names, c.Name)
	}
	return names
}

const completionHead = "# Completion of nuthatch for %s. Written by `" + manualsCommand + "`. Do not edit.\n"

func bashCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "bash")
	b.WriteString(`_nuthatch()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options files values words='' verb='' i
    # --option=value is three words.
    if [[ $cur == '=' ]]; then
        cur=''
    elif [[ $prev == '=' ]]; then
        prev=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    case $COMP_CWORD:${COMP_WORDS[1]} in
`)
	for _, c := range commands() {
		writeBashTable(&b, "[!1]:"+c.name+"|[1-9][0-9]:"+c.name, c.options())
		switch c.name {
		case "ctl":
			fmt.Fprintf(&b, "            words='%s help'\n", strings.Join(verbs(), " "))
		case "check":
			fmt.Fprintf(&b, "            words='%s'\n", checkedEngine)
		}
		b.WriteString("            ;;\n")
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	writeBashTable(&b, "*", mainOptions())
	fmt.Fprintf(&b, "            ((COMP_CWORD == 1)) && words='%s'\n            ;;\n    esac\n", strings.Join(names, " "))
	b.WriteString(`    COMPREPLY=()
    if [[ " $files " == *" $prev "* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    fi
    [[ ${COMP_WORDS[1]} == ctl ]] && case $prev in
`)
	for _, o := range optionsWithChoices() {
		fmt.Fprintf(&b, "        %s) COMPREPLY=($(compgen -W '%s' -- \"$cur\")); return ;;\n", strings.Join(o.names(), "|"), strings.Join(choices[o.long], " "))
	}
	b.WriteString(`    esac
    [[ " $values " == *" $prev "* ]] && return
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ " $files $values = " != *" ${COMP_WORDS[i - 1]} "* && ${COMP_WORDS[i]} != -* && ${COMP_WORDS[i]} != '=' ]]; then
            verb=${COMP_WORDS[i]}
            break
        fi
    done
    [[ ${COMP_WORDS[1]} == ctl ]] && case $verb in
`)
	for _, c := range ctl.Commands() {
		fmt.Fprintf(&b, "        %s) options='%s' ;;\n", c.Name, strings.Join(namesOf(optionsOf(&c)), " "))
	}
	fmt.Fprintf(&b, `        help) COMPREPLY=($(compgen -W "$words" -- "$cur")); return ;;
    esac
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ " %s " == *" $verb "* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}
complete -F _nuthatch nuthatch
`, strings.Join(takesFile, " "))
	return b.String()
}

func writeBashTable(b *strings.Builder, pattern string, table []option) {
	fmt.Fprintf(b, "        %s)\n            options='%s'\n            files='%s'\n            values='%s'\n", pattern,
		strings.Join(namesOf(table), " "), strings.Join(namesOf(table, fileName), " "), strings.Join(namesOf(table, number, text), " "))
}

func zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef nuthatch\n")
	fmt.Fprintf(&b, completionHead, "zsh")
	b.WriteString("_nuthatch() {\n    local -a commands\n    if (( CURRENT > 2 )); then\n        case $words[2] in\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "            %s)\n                shift words\n                (( CURRENT-- ))\n", c.name)
		switch c.name {
		case "ctl":
			b.WriteString("                commands=(\n")
			for _, verb := range ctl.Commands() {
				fmt.Fprintf(&b, "                    '%s:%s'\n", verb.Name, zshText(verb.Help))
			}
			b.WriteString("                    'help:how a command is used'\n                )\n")
			writeZshVerbs(&b, c.options())
		case "check":
			writeZshArguments(&b, "                ", c.options(), "'1:what:("+checkedEngine+")'")
		default:
			writeZshArguments(&b, "                ", c.options())
		}
		b.WriteString("                return ;;\n")
	}
	b.WriteString("        esac\n    else\n        commands=(\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "            '%s:%s'\n", c.name, zshText(c.help))
	}
	b.WriteString("        )\n    fi\n")
	writeZshArguments(&b, "    ", mainOptions(), "'1:command:{ _describe command commands }'")
	b.WriteString("}\n_nuthatch \"$@\"\n")
	return b.String()
}

func writeZshArguments(b *strings.Builder, indent string, table []option, operands ...string) {
	b.WriteString(indent + "_arguments -s")
	line := " \\\n" + indent + "    "
	for _, o := range table {
		b.WriteString(line + zshOption(&o, nil))
	}
	for _, operand := range operands {
		b.WriteString(line + operand)
	}
	b.WriteString("\n")
}

// writeZshVerbs has the options of ctl: those of a command are offered before the command is typed,
// and behind it.
func writeZshVerbs(b *strings.Builder, table []option) {
	b.WriteString(`                local word verb
                local -a specs
                for word in ${words[2,CURRENT-1]}; do
                    (( ${commands[(I)${(b)word}:*]} )) && verb=$word && break
                done
`)
	for _, o := range table {
		guard := ""
		var values []string
		if having := verbsWith(&o); len(having) > 0 {
			guard, values = fmt.Sprintf("[[ -z $verb || ' %s ' == *\" $verb \"* ]] && ", strings.Join(having, " ")), choices[o.long]
		}
		fmt.Fprintf(b, "                %sspecs+=(%s)\n", guard, zshOption(&o, values))
	}
	fmt.Fprintf(b, `                case $verb in
                    %s) specs+=('*:file:_files') ;;
                    help) specs+=('*:command:{ _describe command commands }') ;;
                    *) specs+=('*:argument:') ;;
                esac
                _arguments -s $specs '1:command:{ _describe command commands }'
`, strings.Join(takesFile, "|"))
}

// zshOption is an option as _arguments reads it, with the values that it has.
func zshOption(o *option, values []string) string {
	action := ""
	switch o.argument {
	case noArgument:
	case fileName:
		action = ":file:_files"
	case number, text:
		action = ":" + string(o.argument) + ":"
		if values != nil {
			action = ":" + o.long + ":(" + strings.Join(values, " ") + ")"
		}
	}
	long := "--" + o.long
	if o.argument != noArgument {
		long += "="
	}
	help := "[" + zshText(o.help) + "]" + action
	if o.short == 0 {
		return fmt.Sprintf("'%s%s'", long, help)
	}
	short := "-" + string(o.short)
	if o.argument != noArgument {
		short += "+"
	}
	return fmt.Sprintf("'(-%c --%s)'{%s,%s}'%s'", o.short, o.long, short, long, help)
}

// zshText keeps zsh from reading a text as anything else, within single quotes.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `'\''`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(text)
}

func fishCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "fish")
	b.WriteString("complete -c nuthatch -f\n")
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
		fmt.Fprintf(&b, "complete -c nuthatch -n __fish_use_subcommand -a %s -d %s\n", c.name, fishText(c.help))
	}
	writeFishOptions(&b, "not __fish_seen_subcommand_from "+strings.Join(names, " "), mainOptions())
	for _, c := range commands() {
		for _, o := range c.options() {
			condition := "__fish_seen_subcommand_from " + c.name
			if having := verbsWith(&o); c.name == "ctl" && len(having) > 0 {
				others := slices.DeleteFunc(verbs(), func(name string) bool { return slices.Contains(having, name) })
				condition += "; and not __fish_seen_subcommand_from " + strings.Join(others, " ")
				if values := choices[o.long]; values != nil {
					fmt.Fprintf(&b, "complete -c nuthatch -n %s -l %s -x -a '%s'\n", fishText(condition), o.long, strings.Join(values, " "))
				}
			}
			writeFishOptions(&b, condition, []option{o})
		}
	}
	fmt.Fprintf(&b, "complete -c nuthatch -n '__fish_seen_subcommand_from check' -a %s -d 'whether io_uring can be used'\n", checkedEngine)
	no := "__fish_seen_subcommand_from ctl; and not __fish_seen_subcommand_from " + strings.Join(verbs(), " ") + " help"
	for _, c := range ctl.Commands() {
		fmt.Fprintf(&b, "complete -c nuthatch -n %s -a %s -d %s\n", fishText(no), c.Name, fishText(c.Help))
	}
	fmt.Fprintf(&b, "complete -c nuthatch -n %s -a help -d 'how a command is used'\n", fishText(no))
	fmt.Fprintf(&b, "complete -c nuthatch -n '__fish_seen_subcommand_from ctl; and __fish_seen_subcommand_from help' -a '%s'\n", strings.Join(verbs(), " "))
	for _, name := range takesFile {
		fmt.Fprintf(&b, "complete -c nuthatch -n '__fish_seen_subcommand_from %s' -F\n", name)
	}
	return b.String()
}

func writeFishOptions(b *strings.Builder, condition string, table []option) {
	for _, o := range table {
		fmt.Fprintf(b, "complete -c nuthatch -n %s", fishText(condition))
		if o.short != 0 {
			fmt.Fprintf(b, " -s %c", o.short)
		}
		fmt.Fprintf(b, " -l %s", o.long)
		switch o.argument {
		case noArgument:
		case fileName:
			b.WriteString(" -r -F")
		case number, text:
			b.WriteString(" -x")
		}
		fmt.Fprintf(b, " -d %s\n", fishText(o.help))
	}
}

func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
