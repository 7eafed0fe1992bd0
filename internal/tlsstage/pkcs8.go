package tlsstage

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // an HMAC of it is what some keys were encrypted with
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"
	"slices"
)

// How an encrypted key says how it is encrypted (RFC 8018): PBES2 with PBKDF2, which is
// what OpenSSL writes.
type (
	encryptedKey struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2 struct {
		Derivation, Cipher pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt      []byte
		Rounds    int
		KeyLength int                      `asn1:"optional"`
		Function  pkix.AlgorithmIdentifier `asn1:"optional"`
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
)

// A namedHash is a hash function for the password.
type namedHash struct {
	oid  asn1.ObjectIdentifier
	hash func() hash.Hash
}

// The first is for a key that names none.
var keyHashes = []namedHash{
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}, sha1.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}, sha256.New},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 10}, sha512.New384},
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 11}, sha512.New},
}

// A sizedCipher is AES-CBC, with keys of that many bytes.
type sizedCipher struct {
	oid asn1.ObjectIdentifier
	key int
}

var keyCiphers = []sizedCipher{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 24},
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 32},
}

// maxRounds bounds how long a key takes to decrypt.
const maxRounds = 10_000_000

var (
	errKeyForm     = errors.New("the encrypted key cannot be read")
	errKeyPassword = errors.New("the key cannot be decrypted: the password may be another one")
)

// decryptKey decrypts a key of PKCS #8.
func decryptKey(der []byte, password string) ([]byte, error) {
	var k encryptedKey
	var scheme pbes2
	var params pbkdf2Params
	if rest, err := asn1.Unmarshal(der, &k); err != nil || len(rest) > 0 {
		return nil, errKeyForm
	}
	if !k.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fmt.Errorf("the key is encrypted with %v, want PBES2: convert it with 'openssl pkcs8 -topk8 -v2 aes256'", k.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(k.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, errKeyForm
	}
	if !scheme.Derivation.Algorithm.Equal(oidPBKDF2) {
		return nil, fmt.Errorf("the key's password is hashed with %v, want PBKDF2: convert it with 'openssl pkcs8 -topk8 -v2 aes256'", scheme.Derivation.Algorithm)
	}
	if _, err := asn1.Unmarshal(scheme.Derivation.Parameters.FullBytes, &params); err != nil {
		return nil, errKeyForm
	}
	of := 0
	if params.Function.Algorithm != nil {
		of = slices.IndexFunc(keyHashes, func(h namedHash) bool { return h.oid.Equal(params.Function.Algorithm) })
	}
	by := slices.IndexFunc(keyCiphers, func(c sizedCipher) bool { return c.oid.Equal(scheme.Cipher.Algorithm) })
	var iv []byte
	if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil || of < 0 || by < 0 {
		return nil, fmt.Errorf("the key is encrypted with %v, want AES-CBC: convert it with 'openssl pkcs8 -topk8 -v2 aes256'", scheme.Cipher.Algorithm)
	}
	if params.Rounds < 1 || params.Rounds > maxRounds || len(iv) != aes.BlockSize || len(k.Data) == 0 || len(k.Data)%aes.BlockSize != 0 {
		return nil, errKeyForm
	}
	secret, err := pbkdf2.Key(keyHashes[of].hash, password, params.Salt, params.Rounds, keyCiphers[by].key)
	if err != nil {
		return nil, err
	}
	return decryptCBC(k.Data, secret, iv)
}

// decryptCBC decrypts data, and takes the padding off.
func decryptCBC(data, secret, iv []byte) ([]byte, error) {
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	pad := int(plain[len(plain)-1])
	if pad < 1 || pad > aes.BlockSize {
		return nil, errKeyPassword
	}
	for _, b := range plain[len(plain)-pad:] {
		if int(b) != pad {
			return nil, errKeyPassword
		}
	}
	plain = plain[:len(plain)-pad]
	// A wrong password may leave what looks like padding.
	var key asn1.RawValue
	if rest, err := asn1.Unmarshal(plain, &key); err != nil || len(rest) > 0 {
		return nil, errKeyPassword
	}
	return plain, nil
}
