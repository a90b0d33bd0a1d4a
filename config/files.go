package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"syscall"

	"github.com/twochat-connector/twochat-connector/connector"
	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// fileSuffix ends the name of every key that names a file with a secret or a certificate.
const fileSuffix = "_file"

// namesFile reports whether a key, by its dotted path, names such a file.
func namesFile(path string) bool { return strings.HasSuffix(path, fileSuffix) }

// fileFindings reports what is wrong at the moment with the files that are named and used.
func (c *Config) fileFindings() []connector.Finding {
	list := filesIn(reflect.ValueOf(c).Elem(), "", c)
	if len(c.Accounts) > 0 {
		for i, one := range c.ByAccount() {
			list = append(list, filesIn(reflect.ValueOf(&c.Accounts[i]).Elem(), one.section, one)...)
		}
	}
	return list
}

// filesIn checks the files that a section names, for the account whose configuration is given.
func filesIn(section reflect.Value, at string, of *Config) []connector.Finding {
	var list []connector.Finding
	walk(section, at, func(path string, value reflect.Value, _ field) {
		if !namesFile(path) || path == of.AccountKey("api_key_file") && of.apiKey != "" ||
			path == "admin.token_file" && of.Admin.token != nil {
			return
		}
		named := filePath(value)
		if named == "" {
			return
		}
		if err := of.readNamed(path, named); err != nil {
			list = append(list, connector.Finding{
				Level: connector.FindingRefused, Thing: path, Text: strings.TrimPrefix(err.Error(), "read secret: "),
				Hint: fileHint(path, err),
			})
			return
		}
		if info, err := os.Stat(named); err == nil && isSecret(path) && info.Mode().Perm()&0o004 != 0 {
			list = append(list, connector.Finding{
				Level: connector.FindingWarning, Thing: path, Text: "every user of this machine may read the file",
				Hint: "chmod 0400 " + secret.Shown(named) + ", or defaultMode: 0440 for a Secret's volume",
			})
		}
	})
	return list
}

// filePath is the path that a key names, or "".
func filePath(value reflect.Value) string {
	if file, ok := value.Interface().(FileSecret); ok {
		return file.path
	}
	return value.String()
}

// readNamed reads a file in the same way as its user will.
func (c *Config) readNamed(path, named string) error {
	var err error
	switch {
	case path == c.AccountKey("api_key_file"):
		_, err = c.APIKey()
	case path == "admin.token_file":
		_, err = c.Admin.Token()
	case path == c.PseudonymKey():
		_, err = c.Privacy.KeyFile.Read()
	case strings.HasSuffix(path, ".password_file"), strings.HasSuffix(path, ".token_file"):
		_, err = secret.Line(named)
	case strings.HasSuffix(path, ".creds_file") && strings.HasPrefix(named, "~/"):
		// The sink knows where such a file is.
	default:
		_, err = secret.Text(named)
	}
	return err
}

// isSecret reports whether the file of a key is a secret that nobody else may read. All files except certificates are.
func isSecret(path string) bool {
	return !strings.HasSuffix(path, ".ca_file") && !strings.HasSuffix(path, ".cert_file")
}

// fileHint is what to do about a file that cannot be read, or has the wrong content.
func fileHint(path string, err error) string {
	var errno syscall.Errno
	if path == "admin.token_file" && !errors.As(err, &errno) {
		return fmt.Sprintf("write only %d or more random characters into the file, such as those of `openssl rand -hex 32`",
			minToken)
	}
	if errors.As(err, &errno) {
		return "put " + contentOf(path) + " into a file that this user may read, and the file's path into " + path
	}
	return "write only " + contentOf(path) + " into the file, as plain text in UTF-8"
}

// contentOf names the content of a key's file.
func contentOf(path string) string {
	switch name := path[strings.LastIndex(path, ".")+1:]; name {
	case "api_key_file":
		return "the API key"
	case "ca_file", "cert_file":
		return "the certificate"
	case "creds_file":
		return "the credentials"
	case "nkey_file":
		return "the seed of the nkey"
	case "password_file", "token_file":
		return "the " + strings.TrimSuffix(name, fileSuffix)
	}
	return "the key"
}
