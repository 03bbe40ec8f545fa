#!/bin/sh
# Makes the certificates of the tests anew: two for the server, one for a client, each good for a hundred years. The keys are
# for tests alone, and are no secrets.
set -eu
cd "$(dirname "$0")"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1.key" 2>/dev/null; }
key ca
openssl req -x509 -new -key ca.key -subj "/CN=tests of lifeboat" -days 36500 -out ca.pem \
    -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign"
serial=1
for name in first second client; do
    key $name
    openssl req -new -key $name.key -subj "/CN=$name" -out $name.csr
    use=serverAuth
    [ $name = client ] && use=clientAuth
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=%s\nbasicConstraints=CA:false\n' $use > ext
    openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -set_serial $serial -days 36500 -extfile ext -out $name.pem 2>/dev/null
    serial=$((serial + 1))
    rm $name.csr ext
done
rm ca.key
