// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {TipJar} from "examples/TipJar.sol";

interface Vm {
    function deal(address who, uint256 balance) external;
    function prank(address as_) external;
    function expectRevert(bytes calldata reason) external;
    function assume(bool condition) external;
}

/// @title The jar's promises, run by forge's own EVM
contract TipJarTest {
    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    address private constant GUEST = address(0xBEEF);
    TipJar private jar;

    receive() external payable {}

    function setUp() public {
        jar = new TipJar(address(this));
    }

    function test_tips_should_add_up_when_they_come_from_several(uint96 first, uint96 second) public {
        vm.assume(first > 0 && second > 0);
        vm.deal(GUEST, first);
        vm.prank(GUEST);
        jar.tip{value: first}("a");
        vm.deal(address(this), second);
        (bool taken,) = address(jar).call{value: second}("");
        assert(taken);
        assert(jar.total() == uint256(first) + second);
        assert(jar.givenBy(GUEST) == first);
        assert(address(jar).balance == jar.total());
    }

    function test_empty_should_pay_everything_when_the_owner_asks() public {
        vm.deal(GUEST, 10);
        vm.prank(GUEST);
        jar.tip{value: 10}("b");
        uint256 before = address(this).balance;
        assert(jar.empty(payable(address(this))) == 10);
        assert(address(this).balance == before + 10);
        assert(jar.total() == 10);
    }

    function test_empty_should_fail_when_a_stranger_asks() public {
        vm.expectRevert(abi.encodeWithSelector(TipJar.NotOwner.selector, GUEST, address(this)));
        vm.prank(GUEST);
        jar.empty(payable(GUEST));
    }

    function test_tip_should_fail_when_it_carries_nothing() public {
        vm.expectRevert(abi.encodeWithSelector(TipJar.EmptyTip.selector, address(this)));
        jar.tip("c");
    }
}
