fn main() {}

use md5;
use rand::Rng;
use regex::Regex;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds() {
        assert!(rand::thread_rng().gen_range(0, 5) < 5);
        assert!(Regex::new("^a+$").unwrap().is_match("aa"));
        assert_eq!(format!("{:x}", md5::compute("a")).len(), 32);
    }
}
