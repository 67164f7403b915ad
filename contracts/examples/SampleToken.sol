// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title An OpenZeppelin ERC-20 with nothing of its own but a first supply
/// @notice Tests and benchmarks use it as "the token anybody would deploy".
contract SampleToken is ERC20, ERC20Permit {
    /// @param supply minted to `holder`, in units of 10^-18
    constructor(address holder, uint256 supply) ERC20("Sample Token", "SMPL") ERC20Permit("Sample Token") {
        _mint(holder, supply);
    }
}
