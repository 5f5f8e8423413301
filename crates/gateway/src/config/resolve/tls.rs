//! TLS of a listener: its files are read here once, so that what is wrong with them is told before anything starts.

use std::path::{Path, PathBuf};

use super::super::diagnostic::Problem;
use super::super::schema::{self, ClientCertificate};
use super::super::setting::Setting;
use super::super::{Clients, Tls, TlsVersion};
use super::listeners::unix_path;
use super::{Context, values};
use crate::server::tls::{self, Part};

pub(super) fn resolve(
    context: Context<'_>,
    address: &Setting<String>,
    tls: &Setting<schema::Tls>,
) -> Option<Tls> {
    let written = tls.given()?;
    if address.value().is_some_and(|address| unix_path(address).is_some()) {
        let problem = Problem::error("a socket in the file system has no `tls`: nothing leaves the machine");
        context.add(problem.at(&written.place).hint("remove `tls`; `socket_mode` says who may connect"));
        return None;
    }
    let keys = &written.value;
    for (name, setting) in [("certificate", &keys.certificate), ("key", &keys.key)] {
        if setting.is_absent() {
            let problem = Problem::error(format!("`tls` has no `{name}`")).at(&written.place);
            context.add(problem.hint("`tls: {certificate: /path/to/tls.crt, key: /path/to/tls.key}`"));
        }
    }
    let (certificate, key) = (path(context, &keys.certificate), path(context, &keys.key));
    let clients = path(context, &keys.client_ca).map(|ca| Clients {
        ca,
        required: keys.client_certificate.value() != Some(&ClientCertificate::Optional),
    });
    if let Some(choice) = keys.client_certificate.given()
        && keys.client_ca.is_absent()
    {
        let problem =
            Problem::error("`client_certificate` without `client_ca`: nobody is trusted to issue one");
        context.add(problem.at(&choice.place).hint("name the file of the authorities under `client_ca`"));
    }
    let min_version = match keys.min_version.value() {
        Some(schema::TlsVersion::V1_3) => TlsVersion::V1_3,
        Some(schema::TlsVersion::V1_2) | None => TlsVersion::V1_2,
    };
    let tls = Tls { certificate: certificate?, key: key?, clients, min_version };
    if !context.environment.is_without_keys() && !keys.client_ca.is_broken() {
        look(context, keys, &tls);
    }
    Some(tls)
}

fn path(context: Context<'_>, setting: &Setting<String>) -> Option<PathBuf> {
    let written = setting.given()?;
    // Its lines are never quoted: a block of text here is most likely the key itself.
    if written.value.trim().contains('\n') || written.value.contains("-----BEGIN") {
        let problem = Problem::error("the text itself is written where the path of its file belongs");
        context.add(problem.at(&written.place).hint("put it into a file and name that"));
        return None;
    }
    let expanded = values::expanded(context, written)?;
    if expanded.text.is_empty() || expanded.text.contains('\0') {
        context.add(Problem::error("this is not the path of a file").at(&written.place));
        return None;
    }
    Some(PathBuf::from(expanded.text))
}

/// Reads the files and tells what is wrong, or odd.
fn look(context: Context<'_>, keys: &schema::Tls, tls: &Tls) {
    match tls::load(tls) {
        Ok(material) => {
            if let Some(odd) = material.validity.oddity() {
                let problem = Problem::warning(format!("the certificate {odd}{}", shown(&tls.certificate)));
                let place = keys.certificate.given().map(|written| &written.place);
                let problem = place.into_iter().fold(problem, |problem, place| problem.at(place));
                context.add(problem.hint("clients will refuse it; a new one is read as soon as it is there"));
            }
        }
        Err(flaw) => {
            let (name, setting, path) = match (flaw.part, &tls.clients) {
                (Part::Certificate, _) => ("certificate", &keys.certificate, &tls.certificate),
                (Part::ClientCa, Some(clients)) => ("client_ca", &keys.client_ca, &clients.ca),
                (Part::Key | Part::ClientCa, _) => ("key", &keys.key, &tls.key),
            };
            let problem = Problem::error(format!("`tls.{name}`{}: {}", shown(path), flaw.problem));
            let place = setting.given().map(|written| &written.place);
            let problem = place.into_iter().fold(problem, |problem, place| problem.at(place));
            context.add(problem.hint(flaw.hint));
        }
    }
}

/// A path for a message, if it is one: what has no folder may be a key that somebody wrote in the place of its path.
fn shown(path: &Path) -> String {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() && folder.is_dir() => {
            format!(" ({})", values::shorten(&path.display().to_string()))
        }
        _ => String::new(),
    }
}
