use std::collections::BTreeMap;

use serde::Serialize;

use super::report::Report;
use super::rule::{quoted, vendor_id};
use super::section::Section;
use super::{GcpConfig, Platform};

/// A `[[service]]`: something that takes traffic and can be stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServiceConfig {
    /// What people and procedures call it; unique. Required.
    pub name: String,
    /// Where it runs. Required.
    pub platform: Platform,
    /// The vendor's id of it. Default: the name.
    pub id: String,
    /// Cloud Run: the region, always given; from `[gcp]` unless the service has its own. `None` on other platforms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl ServiceConfig {
    /// `configured` tells whether the file has the table of a platform.
    pub(super) fn read(
        section: &Section<'_>,
        gcp: Option<&GcpConfig>,
        configured: impl Fn(Platform) -> bool,
        report: &mut Report<'_>,
    ) -> Option<Self> {
        let name = section.required("name", vendor_id, report);
        section.report_missing("platform", report);
        let id = section
            .optional("id", vendor_id, report)
            .unwrap_or_else(|| name.clone());
        let own_region = section.optional("region", vendor_id, report);
        let platform = section.choice("platform", Platform::CHOICES, report)?;
        if !configured(platform) {
            let table = platform.table();
            report.consequence(
                section.place_of("platform"),
                section.path_of("platform"),
                format!("there is no [{table}] table that says how to reach it"),
                format!("add a [{table}] table"),
            );
        }
        let region = match platform {
            Platform::CloudRun => own_region.or_else(|| gcp.and_then(|gcp| gcp.region.clone())),
            Platform::Railway | Platform::Vercel => {
                if section.gives("region") {
                    report.fault(
                        section.place_of("region"),
                        section.path_of("region"),
                        format!("has no meaning on {}", platform.as_str()),
                        "remove it; only cloud-run services have a region here",
                    );
                }
                None
            }
        };
        if platform == Platform::CloudRun && region.is_none() && gcp.is_some() && !section.gives("region") {
            report.consequence(
                section.at(),
                section.path_of("region"),
                "is missing, and [gcp] has no region either",
                "add `region = \"…\"` to [gcp] or to this service",
            );
        }
        Some(Self {
            name,
            platform,
            id,
            region,
        })
    }

    /// Reports services that are one and the same at the vendor: the journal keeps one prior state for each target.
    pub(super) fn report_same<'s>(
        services: impl Iterator<Item = (&'s Section<'s>, &'s Self)>,
        report: &mut Report<'_>,
    ) {
        let mut seen = BTreeMap::new();
        for (section, service) in services {
            let vendor_side = (service.platform, &service.id, &service.region);
            let first: &Self = seen.entry(vendor_side).or_insert(service);
            if first.name != service.name && !service.id.is_empty() {
                report.fault(
                    section.place_of("id"),
                    section.path_of("id"),
                    format!("is the same service as {}", quoted(&first.name)),
                    "describe each service of a vendor once",
                );
            }
        }
    }
}
