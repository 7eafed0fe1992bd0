package acl

import "strconv"

// What clients are told, in Redis 7.0's words. Rules on databases are Valkey's, and so are
// the words about them.

const (
	noPermission = "NOPERM this user has no permissions to "
	atExec       = "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. " +
		"This command is no longer allowed for the following reason: "
)

// Error is the text of the error for the client, without a line end. command is the full
// name of the command that was denied.
func (v Verdict) Error(command string) string {
	switch v.Denial {
	case Allowed:
	case DeniedCommand:
		return noPermission + "run the '" + command + "' command"
	case DeniedKey:
		return noPermission + "access one of the keys used as arguments"
	case DeniedChannel:
		return noPermission + "access one of the channels used as arguments"
	case DeniedDatabase:
		return "NOPERM No permissions to access database"
	case DeniedSortBy:
		return "ERR BY option of SORT denied due to insufficient ACL permissions."
	case DeniedSortGet:
		return "ERR GET option of SORT denied due to insufficient ACL permissions."
	}
	return ""
}

// AtExec is the text of the error for a command of a transaction that was allowed when it
// was queued.
func (v Verdict) AtExec() string {
	switch v.Denial {
	case DeniedCommand:
		return atExec + "no permission to execute the command or subcommand"
	case DeniedKey, DeniedSortBy, DeniedSortGet:
		return atExec + "no permission to touch the specified keys"
	case DeniedChannel:
		return atExec + "no permission to access one of the channels used as arguments to the command"
	case Allowed, DeniedDatabase:
	}
	return atExec + "no permission"
}

// DryRun is what ACL DRYRUN says. word is the key, channel or database that was denied.
func (v Verdict) DryRun(user, command string, word []byte) string {
	switch v.Denial {
	case DeniedCommand:
		return "This user has no permissions to run the '" + command + "' command"
	case DeniedKey, DeniedSortBy, DeniedSortGet:
		return "This user has no permissions to access the '" + string(word) + "' key"
	case DeniedChannel:
		return "This user has no permissions to access the '" + string(word) + "' channel"
	case DeniedDatabase:
		return "User " + user + " has no permissions to access database " + string(word)
	case Allowed:
	}
	return "OK"
}

// Reason is what ACL LOG calls the denial.
func (d Denial) Reason() string {
	switch d {
	case DeniedCommand:
		return "command"
	case DeniedKey, DeniedSortBy, DeniedSortGet:
		return "key"
	case DeniedChannel:
		return "channel"
	case DeniedDatabase:
		return "db"
	case Allowed:
	}
	return ""
}

// maxPasswordBits is the longest password that ACL GENPASS makes.
const maxPasswordBits = 4096

// PasswordFault is why ACL GENPASS makes no password of so many bits, or empty if it does.
func PasswordFault(bits int64) string {
	if bits <= 0 || bits > maxPasswordBits {
		return "ACL GENPASS argument must be the number of bits for the output password, a positive number up to " + strconv.Itoa(maxPasswordBits)
	}
	return ""
}
