//! The pages of the codes: what each means, why it is a mistake, how to mend it. Compiled in, so they are there at 3 a.m.

/// One entry a code: its name and its page.
macro_rules! pages {
    ($($code:ident)*) => {
        const PAGES: &[(&str, &str)] =
            &[$((stringify!($code), include_str!(concat!("../pages/", stringify!($code), ".md")))),*];
    };
}

pages! {
    LB0101 LB0102 LB0103 LB0104 LB0105 LB0106 LB0107 LB0108
    LB0109 LB0110 LB0111 LB0112 LB0113 LB0114 LB0115 LB0116
    LB0117 LB0118 LB0119 LB0120 LB0121 LB0122 LB0123 LB0125
    LB0126 LB0127 LB0128 LB0129 LB0130 LB0131 LB0132 LB0133
    LB0140 LB0141 LB0142 LB0199 LB0201 LB0202 LB0203 LB0204
    LB0205 LB0206 LB0207 LB0208 LB0209 LB0210 LB0211 LB0212
    LB0213 LB0214 LB0215 LB0216 LB0217 LB0218 LB0219 LB0220
    LB0221 LB0222 LB0223 LB0224 LB0225 LB0226 LB0227 LB0228
    LB0229 LB0230 LB0231 LB0232 LB0233 LB0234 LB0235 LB0301
    LB0302 LB0303 LB0304 LB0305 LB0306 LB0307 LB0308 LB0310
    LB0311 LB0401 LB0402 LB0403 LB0404 LB0405 LB0406 LB0410 LB0411 LB0412
    LB0413 LB0414 LB0415 LB0416 LB0417 LB0418 LB0419 LB0501
    LB0502 LB0503 LB0504 LB0505 LB0506 LB0507 LB0508 LB0509
    LB0510 LB0511 LB0601 LB0602 LB0603 LB0604 LB0605 LB0606
    LB0607 LB0608 LB0609 LB0615 LB0616 LB0617 LB0618 LB0619 LB0620 LB0701 LB0702 LB0703 LB0704 LB0705
    LB0706 LB0707 LB0708 LB0709 LB0710 LB0711 LB0712 LB0801
    LB0802 LB0803 LB0804 LB0805 LB0806 LB0901 LB0902 LB0903
    LB0904
}

/// The page of a code, in Markdown. Upper and lower case are the same.
pub fn explain(code: &str) -> Option<&'static str> {
    PAGES.iter().find(|(name, _)| name.eq_ignore_ascii_case(code)).map(|(_, page)| *page)
}

/// All codes that have a page, in order.
pub fn codes() -> impl Iterator<Item = &'static str> {
    PAGES.iter().map(|(name, _)| *name)
}
