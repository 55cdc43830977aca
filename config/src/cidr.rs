//! Address blocks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address block such as `10.0.0.0/8`; IPv4 in IPv6 (`::ffff:10.0.0.1`) counts as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    /// Leading bits that count.
    length: u8,
}

impl Cidr {
    /// Reads an address with or without a prefix length; without one it is that address alone.
    ///
    /// # Errors
    /// What is wrong with it, in words: bits beyond the prefix length are an error, since they are a slip of either.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let network: IpAddr =
            address.parse().map_err(|_| format!("{text:?} is no address block such as 10.0.0.0/8 or 2001:db8::/32"))?;
        let longest = longest_prefix(network);
        let length = match length {
            None => longest,
            Some(digits) => parse_length(digits)
                .filter(|length| *length <= longest)
                .ok_or_else(|| format!("the prefix length of {text:?} is no number from 0 to {longest}"))?,
        };
        if network.to_canonical() != network {
            return Err(format!("{text:?} is IPv4 written as IPv6; write {}", network.to_canonical()));
        }
        let first = mask(network, length);
        if first != network {
            return Err(format!("{text:?} has bits set beyond its prefix length; write {first}/{length}"));
        }
        Ok(Self { network, length })
    }

    /// Whether an address is in the block.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.network.is_ipv4() && mask(address, self.length) == self.network
    }
}

fn parse_length(digits: &str) -> Option<u8> {
    // `parse` takes a plus sign.
    digits.parse().ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()))
}

const fn longest_prefix(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with all but its leading bits cleared.
#[must_use]
pub fn mask(address: IpAddr, length: u8) -> IpAddr {
    let cleared = u32::from(longest_prefix(address).saturating_sub(length));
    match address {
        IpAddr::V4(address) => {
            Ipv4Addr::from_bits(address.to_bits() & u32::MAX.checked_shl(cleared).unwrap_or(0)).into()
        }
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & u128::MAX.checked_shl(cleared).unwrap_or(0)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_contain_what_they_say() {
        for (block, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "10.0.0.1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("2001:db8::1", "2001:db8::1", true),
            ("192.0.2.128/25", "192.0.2.127", false),
            ("192.0.2.128/25", "192.0.2.128", true),
        ] {
            let found =
                Cidr::parse(block).map(|block| block.contains(address.parse().unwrap_or(Ipv4Addr::UNSPECIFIED.into())));
            assert_eq!(found, Ok(expected), "{address} in {block}");
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        for (text, message) in [
            ("", "no address block"),
            ("10.0.0", "no address block"),
            ("10.0.0.0/8/8", "prefix length"),
            ("10.0.0.0/33", "from 0 to 32"),
            ("::/129", "from 0 to 128"),
            ("10.0.0.0/+8", "prefix length"),
            ("10.0.0.0/", "prefix length"),
            ("10.0.0.1/8", "write 10.0.0.0/8"),
            ("2001:db8::1/32", "write 2001:db8::/32"),
            ("::ffff:10.0.0.0/104", "write 10.0.0.0"),
        ] {
            let error = Cidr::parse(text).err().unwrap_or_default();
            assert!(error.contains(message), "{text:?}: {error:?}");
        }
    }
}
