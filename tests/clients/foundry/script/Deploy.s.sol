// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {SampleToken} from "examples/SampleToken.sol";
import {TipJar} from "examples/TipJar.sol";

/// @dev What this script needs of Foundry's cheat codes; the usual forge-std is not on npm.
interface Vm {
    function startBroadcast() external;
    function stopBroadcast() external;
}

/// @title Deploys a token and a jar and makes the first tip
contract Deploy {
    /// @dev Foundry runs contracts that say so as scripts.
    bool public constant IS_SCRIPT = true;

    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function run() external returns (SampleToken token, TipJar jar) {
        vm.startBroadcast();
        token = new SampleToken(msg.sender, 1_000 ether);
        jar = new TipJar(msg.sender);
        jar.tip{value: 21}("from a script");
        require(token.transfer(address(jar), 5), "not moved");
        vm.stopBroadcast();
    }
}
