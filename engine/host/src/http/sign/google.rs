//! Google Cloud: a service account's key signs a claim (RS256), and the claim is changed for a token.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::json;
use zeroize::Zeroizing;

use crate::http::url::encode;

/// Seconds that a claim asks for; the longest that Google gives.
const LIFE_S: i64 = 3600;

/// The key file of a service account, as far as it is needed.
#[derive(Deserialize)]
pub struct Account {
    /// Whose it is.
    pub client_email: String,
    /// Where tokens are given out.
    pub token_uri: String,
    #[serde(default)]
    private_key_id: Option<String>,
    private_key: Zeroizing<String>,
}

/// What the token server says.
#[derive(Deserialize)]
pub struct Granted {
    /// The token.
    pub access_token: Zeroizing<String>,
    /// Seconds.
    #[serde(default)]
    pub expires_in: Option<u64>,
}

impl Account {
    /// Reads the file. The reason is for the operator, and holds nothing of the file.
    pub fn read(json: &str) -> Result<Self, String> {
        let account: Self = serde_json::from_str(json).map_err(|error| {
            format!("it is no key file of a service account (line {}, column {})", error.line(), error.column())
        })?;
        account.pair()?;
        Ok(account)
    }

    fn pair(&self) -> Result<RsaKeyPair, String> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(self.private_key.as_bytes())
            .map_err(|_| "its private_key is no PEM of PKCS #8".to_owned())?;
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| "its private_key is no RSA key".to_owned())
    }

    /// The form that is sent to the token server. `now` is in seconds since the Unix epoch.
    pub fn form(&self, scopes: &[String], now: i64) -> Result<Zeroizing<String>, String> {
        let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let mut head = json!({"alg": "RS256", "typ": "JWT"});
        if let (Some(id), Some(head)) = (&self.private_key_id, head.as_object_mut()) {
            head.insert("kid".to_owned(), json!(id));
        }
        let claim = json!({"iss": self.client_email, "scope": scopes.join(" "), "aud": self.token_uri,
                           "iat": now, "exp": now + LIFE_S});
        let text = format!("{}.{}", part(head), part(claim));
        let pair = self.pair()?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
            .map_err(|_| "its private_key cannot sign".to_owned())?;
        let grant = encode("urn:ietf:params:oauth:grant-type:jwt-bearer", b"");
        Ok(Zeroizing::new(format!("grant_type={grant}&assertion={text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    /// A key file made for tests alone.
    pub(crate) fn key_file(token_uri: &str) -> String {
        let key = include_str!("../tests/account.pem");
        json!({"type": "service_account", "client_email": "dr@example.iam", "private_key_id": "k1", "private_key": key,
               "token_uri": token_uri})
        .to_string()
    }

    #[test]
    fn the_claim_is_signed_with_the_account_s_key() {
        let account = Account::read(&key_file("https://t/token")).unwrap();
        let form = account.form(&["a".into(), "b".into()], 1_000).unwrap();
        let claim = form.split_once("assertion=").unwrap().1;
        let parts: Vec<&str> = claim.split('.').collect();
        let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&decode(parts[1])).unwrap();
        assert_eq!(
            body,
            json!({"iss": "dr@example.iam", "scope": "a b", "aud": "https://t/token", "iat": 1000, "exp": 4600})
        );
        let pair = account.pair().unwrap();
        let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref().to_vec());
        let signed = format!("{}.{}", parts[0], parts[1]);
        assert!(public.verify(signed.as_bytes(), &decode(parts[2])).is_ok());
    }

    #[test]
    fn a_wrong_file_is_refused_without_telling_of_it() {
        let wrong = key_file("x").replace("BEGIN", "BEGUN");
        for text in ["{\"private_key\": \"top-secret\"}", "top-secret", wrong.as_str()] {
            let why = Account::read(text).err().unwrap();
            assert!(!why.contains("top-secret") && !why.contains("MII"), "{why}");
        }
    }
}
