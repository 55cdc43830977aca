//! Claims of tokens that Envoy's JWT filter has validated.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use e2e::{
    bootstrap::Surroundings,
    canary::{Backend, Canary, Delivery, UPSTREAMS},
    client::{self, Request},
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::{
    Subject,
    documents::{document, to},
    steering::PROTOCOLS,
};

const KEY: &[u8] = b"a key of this test, as long as a hash";
const ISSUER: &str = "issuer.example";

/// Envoy's JWT filter as istiod configures it: a missing token is accepted, and an invalid one is rejected.
fn jwt_filter() -> Value {
    let keys = json!({"keys": [{"kty": "oct", "alg": "HS256", "k": BASE64.encode(KEY)}]}).to_string();
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": {"issuer": {
                "issuer": ISSUER,
                "local_jwks": {"inline_string": keys},
                "payload_in_metadata": "payload",
            }},
            "rules": [{"match": {"prefix": "/"}, "requires": {"requires_any": {"requirements": [
                {"provider_name": "issuer"}, {"allow_missing": {}},
            ]}}}],
        },
    })
}

/// A token with these claims, signed by HMAC with SHA-256.
fn token(claims: &Value) -> String {
    let mut claims = claims.clone();
    claims["iss"] = json!(ISSUER);
    let encode = |value: &Value| BASE64.encode(value.to_string());
    let signed = format!("{}.{}", encode(&json!({"alg": "HS256", "typ": "JWT"})), encode(&claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY).expect("HMAC takes any key");
    mac.update(signed.as_bytes());
    format!("{signed}.{}", BASE64.encode(mac.finalize().into_bytes()))
}

fn rules() -> Value {
    let claim = |path: &str, claim: &str, value: Value| {
        let mut headers = json!({});
        headers[format!("@request.auth.claims{claim}")] = value;
        json!({"match": [{"uri": {"prefix": path}, "headers": headers}], "route": to("v2")})
    };
    json!([
        claim("/text", ".role", json!({"exact": "admin"})),
        claim("/prefix", ".role", json!({"prefix": "adm"})),
        claim("/list", ".groups", json!({"exact": "beta"})),
        claim("/nested", "[org][team]", json!({"exact": "canary"})),
        claim("/dots", "[a.b]", json!({"exact": "c"})),
        claim("/scope", ".scope", json!({"exact": "pay"})),
        {"match": [{"uri": {"prefix": "/without"}, "withoutHeaders": {"@request.auth.claims.groups": {"exact": "beta"}}}],
         "route": to("v3")},
        {"route": to("v1")},
    ])
}

pub(crate) async fn claims_pick_the_version(subject: &Subject) {
    let surroundings = Surroundings { before: vec![jwt_filter()], ..Surroundings::default() };
    let mut document = document(&[("shop.example", rules())]);
    // Istio supports claims only at gateways.
    document["virtualServices"][0]["spec"]["gateways"] = json!(["public"]);
    document["proxy"]["gateways"] = json!(["public"]);
    let backends = UPSTREAMS.map(Backend::of);
    let canary = Canary::start_in(&subject.binary, Delivery::Ecds, surroundings, &document, &backends).await;
    let rows = [
        ("text", "/text", Some(json!({"role": "admin"})), "v2"),
        ("another text", "/text", Some(json!({"role": "admins"})), "v1"),
        ("prefix", "/prefix", Some(json!({"role": "administrator"})), "v2"),
        ("no token", "/text", None, "v1"),
        ("no such claim", "/text", Some(json!({"sub": "ann"})), "v1"),
        ("an empty text", "/text", Some(json!({"role": ""})), "v1"),
        ("eight letters are no number", "/prefix", Some(json!({"role": "admin123"})), "v2"),
        ("a number", "/text", Some(json!({"role": 5})), "v1"),
        ("a boolean", "/text", Some(json!({"role": true})), "v1"),
        ("any element of a list", "/list", Some(json!({"groups": ["alpha", "beta"]})), "v2"),
        ("another list", "/list", Some(json!({"groups": ["alpha"]})), "v1"),
        ("an empty list", "/list", Some(json!({"groups": []})), "v1"),
        ("nested", "/nested", Some(json!({"org": {"team": "canary"}})), "v2"),
        ("nested in a text", "/nested", Some(json!({"org": "canary"})), "v1"),
        ("a key with a dot", "/dots", Some(json!({"a.b": "c"})), "v2"),
        ("a dot is no nesting", "/dots", Some(json!({"a": {"b": "c"}})), "v1"),
        ("scope is split at blanks", "/scope", Some(json!({"scope": "read pay"})), "v2"),
        ("null", "/text", Some(json!({"role": null})), "v1"),
        ("null as a list", "/list", Some(json!({"groups": null})), "v1"),
        ("null in a list", "/list", Some(json!({"groups": [null, "beta", null]})), "v2"),
        ("null beside it", "/text", Some(json!({"role": "admin", "nick": null, "deep": {"er": [null]}})), "v2"),
        ("null in an object", "/nested", Some(json!({"org": {"team": null}})), "v1"),
        ("without", "/without", Some(json!({"groups": ["alpha"]})), "v3"),
        ("without, but it is there", "/without", Some(json!({"groups": ["beta"]})), "v1"),
        ("without, and no token", "/without", None, "v3"),
        ("the filter is alive", "/text", Some(json!({"role": "admin"})), "v2"),
    ];
    for protocol in PROTOCOLS {
        for (name, path, claims, served_by) in &rows {
            let mut request = Request::new("shop.example", path);
            if let Some(claims) = claims {
                request = request.header("authorization", format!("Bearer {}", token(claims)));
            }
            let answer = client::send(canary.address, protocol, &request).await;
            assert_eq!(
                (answer.status, answer.served_by.as_str()),
                (200, *served_by),
                "{protocol:?} {name}: {answer:?}"
            );
        }
        let forged = token(&json!({"role": "admin"})).replace('.', ".e30");
        let request = Request::new("shop.example", "/text").header("authorization", format!("Bearer {forged}"));
        assert_eq!(client::send(canary.address, protocol, &request).await.status, 401, "{protocol:?}: forged");
    }
}
