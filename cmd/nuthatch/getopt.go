package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Arguments are read the way getopt_long(3) reads nutcracker's: short options
// cluster and take their argument attached or apart (-dv6, -v 6), long ones
// take it after "=" or apart and may be abbreviated as long as that is
// unambiguous, operands may stand anywhere, and "--" ends the options.

// argument is the noun for an option's argument in messages; empty if there is
// none.
type argument string

const (
	noArgument argument = ""
	fileName   argument = "file name"
	number     argument = "number"
	text       argument = "string"
)

// option is one row of a command's table of options.
type option struct {
	short    byte // 0 if the option has only its long name
	long     string
	argument argument
	help     string
	set      func(value string) error // errMalformed asks for the usual error
}

// errInvalidOption is wrapped with the option that is unknown, ambiguous, or was
// given an argument it does not take.
var errInvalidOption = errors.New("invalid option")

// errMalformed is a setter's error for an argument that the option does not
// accept.
var errMalformed = errors.New("malformed argument")

func invalidOption(name string) error {
	return fmt.Errorf("%w -- '%s'", errInvalidOption, name)
}

// getopt calls set for the options in args, in order, and returns the operands.
// It stops at the first fault.
func getopt(table []option, args []string) (operands []string, err error) {
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		switch {
		case arg == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(arg, "--"):
			args, err = longOption(table, arg[2:], args)
		case len(arg) > 1 && arg[0] == '-':
			args, err = shortOptions(table, arg[1:], args)
		default:
			operands = append(operands, arg)
		}
		if err != nil {
			return nil, err
		}
	}
	return operands, nil
}

// shortOptions handles one cluster of short options, without its dash, and
// returns the arguments after it.
func shortOptions(table []option, cluster string, args []string) ([]string, error) {
	for i := 0; i < len(cluster); i++ {
		o := findShort(table, cluster[i])
		if o == nil {
			return nil, invalidOption(cluster[i : i+1])
		}
		if o.argument != noArgument {
			attached := cluster[i+1:]
			return o.take(attached, attached != "", args)
		}
		if err := o.set(""); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// longOption handles one long option, without its dashes, and returns the
// arguments after it.
func longOption(table []option, arg string, args []string) ([]string, error) {
	name, value, attached := strings.Cut(arg, "=")
	o := findLong(table, name)
	if o == nil {
		return nil, invalidOption(name)
	}
	if o.argument != noArgument {
		return o.take(value, attached, args)
	}
	if attached {
		return nil, invalidOption(o.letter())
	}
	return args, o.set("")
}

// take sets o to the attached value, or to the first of args where none is
// attached, and returns the arguments that are left.
func (o *option) take(value string, attached bool, args []string) ([]string, error) {
	if !attached {
		if len(args) == 0 {
			return nil, o.requires()
		}
		value, args = args[0], args[1:]
	}
	err := o.set(value)
	if errors.Is(err, errMalformed) {
		err = o.requires()
	}
	return args, err
}

// requires is the error for a missing or malformed argument, in nutcracker's form.
func (o *option) requires() error {
	return fmt.Errorf("option %s requires a %s", o.name(), o.argument)
}

// letter is what nutcracker calls the option by in a fault.
func (o *option) letter() string {
	if o.short == 0 {
		return o.long
	}
	return string(o.short)
}

// name is the option as it is written.
func (o *option) name() string {
	if o.short == 0 {
		return "--" + o.long
	}
	return "-" + string(o.short)
}

func findShort(table []option, short byte) *option {
	i := slices.IndexFunc(table, func(o option) bool { return o.short == short && short != 0 })
	if i < 0 {
		return nil
	}
	return &table[i]
}

// findLong returns the option of that name, or the only one whose name begins so.
func findLong(table []option, name string) *option {
	var begins []*option
	for i := range table {
		if table[i].long == name {
			return &table[i]
		}
		if strings.HasPrefix(table[i].long, name) {
			begins = append(begins, &table[i])
		}
	}
	if len(begins) == 1 {
		return begins[0]
	}
	return nil
}
