package nats

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/twochat-connector/twochat-connector/sinks/secret"
)

// userCredentials reads the file again at each connect, once for the JWT and once for the seed.
func (c Connection) userCredentials(o *natsgo.Options) error {
	read := func() (string, error) {
		text, err := secret.Text(c.credsPath())
		if err != nil {
			return "", &secret.FileError{Key: "creds_file", Err: err}
		}
		return text, nil
	}
	token := func() (string, error) {
		text, err := read()
		if err != nil {
			return "", err
		}
		jwt, err := nkeys.ParseDecoratedJWT([]byte(text))
		if err != nil || strings.Count(jwt, ".") != 2 {
			return "", &secret.FileError{
				Key: "creds_file",
				Err: fmt.Errorf("%s does not contain NATS credentials (a JWT and a seed)", secret.Shown(c.credsPath())),
			}
		}
		return jwt, nil
	}
	sign := func(nonce []byte) ([]byte, error) {
		text, err := read()
		if err != nil {
			return nil, err
		}
		return signed(nonce, text, "creds_file")
	}
	if _, err := token(); err != nil {
		return err
	}
	if _, err := sign(nil); err != nil {
		return err
	}
	return natsgo.UserJWT(token, sign)(o)
}

// credsPath is the path of creds_file; ~/ means the user's home folder, as in the tools of NATS.
func (c Connection) credsPath() string {
	if rest, ok := strings.CutPrefix(c.CredsFile, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			return filepath.Join(home, rest)
		}
	}
	return c.CredsFile
}

// userKey reads the seed again for each signature; the public key is that of the first seed.
func (c Connection) userKey(o *natsgo.Options) error {
	text, err := secret.Text(c.NKeyFile)
	if err != nil {
		return &secret.FileError{Key: "nkey_file", Err: err}
	}
	pair, err := nkeys.ParseDecoratedUserNKey([]byte(text))
	if err != nil {
		return &secret.FileError{Key: "nkey_file", Err: errors.New("it does not contain the seed of a user's nkey")}
	}
	defer pair.Wipe()
	public, err := pair.PublicKey()
	if err != nil {
		return &secret.FileError{Key: "nkey_file", Err: errors.New("it does not contain the seed of a user's nkey")}
	}
	return natsgo.Nkey(public, func(nonce []byte) ([]byte, error) {
		text, err := secret.Text(c.NKeyFile)
		if err != nil {
			return nil, &secret.FileError{Key: "nkey_file", Err: err}
		}
		return signed(nonce, text, "nkey_file")
	})(o)
}

// signed signs a nonce with the seed in a text. The seed is not kept in memory.
func signed(nonce []byte, text, key string) ([]byte, error) {
	pair, err := nkeys.ParseDecoratedNKey([]byte(text))
	if err != nil {
		return nil, &secret.FileError{Key: key, Err: errors.New("it does not contain the seed of an nkey")}
	}
	defer pair.Wipe()
	signature, err := pair.Sign(nonce)
	if err != nil {
		return nil, fmt.Errorf("sign with %s: %w", key, err)
	}
	return signature, nil
}

func readToken(path string) (string, error) {
	token, err := secret.Line(path)
	if err != nil {
		return "", &secret.FileError{Key: "token_file", Err: err}
	}
	return token, nil
}
